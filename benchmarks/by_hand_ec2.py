"""The EC2 calls of `by_hand.sh`, each followed by boto3's own waiter, which asks every 15 s.

by_hand_ec2.py detach VOLUME INSTANCE
by_hand_ec2.py attach VOLUME INSTANCE DEVICE
by_hand_ec2.py associate ALLOCATION INSTANCE
"""

from __future__ import annotations

import os
import sys
from typing import Any

import boto3


def main(arguments: list[str]) -> int:
    """Make one call and wait for its end."""
    ec2: Any = boto3.client("ec2", region_name=os.environ["AWS_REGION"], endpoint_url=os.environ["EC2_ENDPOINT_URL"])
    match arguments:
        case ["detach", volume, instance]:
            ec2.detach_volume(VolumeId=volume, InstanceId=instance)
            ec2.get_waiter("volume_available").wait(VolumeIds=[volume])
        case ["attach", volume, instance, device]:
            ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
            ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume])
        case ["associate", allocation, instance]:
            ec2.associate_address(AllocationId=allocation, InstanceId=instance, AllowReassociation=True)
        case _:
            sys.stderr.write(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
