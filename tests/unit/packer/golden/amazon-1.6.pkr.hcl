packer {
  required_version = ">= 1.6.0"
}

source "amazon-ebs" "node" {
  region            = "us-east-1"
  availability_zone = "us-east-1a"
  ami_name          = "livepeer-transcoder-ubuntu-18.04-0123456789ab"
  ami_description   = "livepeer node, environment world"
  tags = {
    Name                         = "livepeer-transcoder-ubuntu-18.04-0123456789ab",
    "transcoder:environment"     = "world",
    "transcoder:digest"          = "0123456789ab0000000000000000000000000000000000000000000000000000",
    "transcoder:os"              = "ubuntu-18.04",
    "transcoder:geth"            = "1.8.27",
    "transcoder:livepeer"        = "0.2.4",
    "transcoder:packer"          = "1.6.6",
    "transcoder:source-ami"      = "{{ .SourceAMI }}",
    "transcoder:source-ami-name" = "{{ .SourceAMIName }}",
    "transcoder:commit"          = "cccccccccccccccccccccccccccccccccccccccc",
    "transcoder:baked"           = "{{ isotime }}",
  }
  snapshot_tags = {
    Name                         = "livepeer-transcoder-ubuntu-18.04-0123456789ab",
    "transcoder:environment"     = "world",
    "transcoder:digest"          = "0123456789ab0000000000000000000000000000000000000000000000000000",
    "transcoder:os"              = "ubuntu-18.04",
    "transcoder:geth"            = "1.8.27",
    "transcoder:livepeer"        = "0.2.4",
    "transcoder:packer"          = "1.6.6",
    "transcoder:source-ami"      = "{{ .SourceAMI }}",
    "transcoder:source-ami-name" = "{{ .SourceAMIName }}",
    "transcoder:commit"          = "cccccccccccccccccccccccccccccccccccccccc",
    "transcoder:baked"           = "{{ isotime }}",
  }
  run_tags = {
    Name                     = "livepeer-transcoder-ubuntu-18.04-0123456789ab (being baked)",
    "transcoder:environment" = "world",
  }
  run_volume_tags = {
    Name                     = "livepeer-transcoder-ubuntu-18.04-0123456789ab (being baked)",
    "transcoder:environment" = "world",
  }
  instance_type               = "c4.large"
  subnet_id                   = "subnet-1"
  associate_public_ip_address = true
  communicator                = "ssh"
  ssh_username                = "ubuntu"
  ssh_port                    = 22
  ssh_interface               = "public_ip"
  ssh_timeout                 = "10m"
  temporary_security_group_source_cidrs = [
    "192.0.2.0/24",
    "198.51.100.7/32",
  ]

  source_ami_filter {
    filters = {
      name                = "ubuntu/bionic-*",
      root-device-type    = "ebs",
      virtualization-type = "hvm",
    }
    owners = [
      "099720109477",
    ]
    most_recent = true
  }

  launch_block_device_mappings {
    device_name           = "/dev/sda1"
    volume_size           = 32
    volume_type           = "gp2"
    delete_on_termination = true
  }

  aws_polling {
    delay_seconds = 5
    max_attempts  = 360
  }
}

build {
  sources = [
    "source.amazon-ebs.node",
  ]

  provisioner "shell" {
    script          = "${path.root}/provision/10-wait-for-apt.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = [
      "APT_BUDGET_SECONDS=600",
    ]
  }

  provisioner "shell" {
    script          = "${path.root}/provision/20-packages.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = [
      "PACKAGES=ca-certificates chrony curl e2fsprogs iptables logrotate lsof psmisc python3 unattended-upgrades",
    ]
  }

  provisioner "shell" {
    script          = "${path.root}/provision/30-users.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = [
      "USERS=livepeer:2101 geth:2102 transcoder-watch:2103",
      "MOUNT_POINTS=/d1 /d2",
    ]
  }

  provisioner "file" {
    source      = "${path.root}/rootfs.tar"
    destination = "/tmp/transcoder-rootfs.tar"
  }

  provisioner "shell" {
    script          = "${path.root}/provision/40-rootfs.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = [
      "ROOTFS=/tmp/transcoder-rootfs.tar",
      "ROOTFS_SHA256=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ]
  }

  provisioner "shell" {
    script          = "${path.root}/provision/42-sshd.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
  }

  provisioner "file" {
    source      = "${path.root}/binaries.tar"
    destination = "/tmp/transcoder-binaries.tar"
  }

  provisioner "shell" {
    script          = "${path.root}/provision/50-binaries.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = [
      "BINARIES=/tmp/transcoder-binaries.tar",
      "BINARIES_SHA256=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    ]
  }

  provisioner "shell" {
    script          = "${path.root}/provision/60-enable.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = [
      "UNITS=d1.mount livepeer-transcoder.service d2.mount geth.service transcoder-firewall.service transcoder-counts.service transcoder-watch.service",
    ]
  }

  provisioner "shell" {
    script          = "${path.root}/provision/70-inventory.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = [
      "PROGRAMS=geth livepeer livepeer_cli",
    ]
  }

  provisioner "file" {
    direction   = "download"
    source      = "/etc/transcoder/packages.tsv"
    destination = "${path.root}/packages.tsv"
  }

  provisioner "file" {
    direction   = "download"
    source      = "/etc/transcoder/programs.sha256"
    destination = "${path.root}/programs.sha256"
  }

  provisioner "shell" {
    script          = "${path.root}/provision/80-clean.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
  }

  provisioner "shell" {
    script          = "${path.root}/provision/90-prove.sh"
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = [
      "USERS=livepeer:2101 geth:2102",
      "WATCH_USER=transcoder-watch:2103",
      "UNITS=d1.mount livepeer-transcoder.service d2.mount geth.service transcoder-firewall.service transcoder-counts.service transcoder-watch.service",
      "RESTING_UNITS=transcoder-nightly-restart.service transcoder-nightly-restart.timer",
      "GETH_VERSION=1.8.27",
      "LIVEPEER_VERSION=0.2.4",
    ]
  }
}
